"""(a) Connexion with Flask and SQLAlchemy's ORM, as Connexion's documentation shows it."""

from pathlib import Path

import connexion

app = connexion.FlaskApp(__name__, specification_dir=Path(__file__).parent)
app.add_api("openapi.yaml", strict_validation=True)
