"""Archives of what an organisation holds about a person.

``contents`` says what is in one, ``archive`` writes the ZIP, ``storage`` keeps it encrypted and in
pieces, ``building`` is the job, ``clearing`` ends what nobody fetched. Requesting and downloading
are in ``services/exports``. docs/decisions/0025-exports-of-personal-data.md has the reasons.
"""
