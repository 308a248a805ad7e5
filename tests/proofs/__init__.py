"""Proofs: what must hold however many do it at the same moment, whatever fails meanwhile.

``make proofs`` runs them in full and prints what each counted; ``make test`` runs the same code in
a shorter form (see ``size.py``). Each test is one proof: its docstring is the invariant, in one
sentence, and ``report(…)`` hands over what it counted.

One file per subject. A new one-time thing (a code of an authenticator, a backup code, a magic link)
gets a proof with ``Crowd.at_once`` in a file such as ``test_second_factor.py``, a row in
``test_timing.py`` when it takes a name or an address, and a step in ``canaries.py`` for each of its
operations: ``test_secrets.py`` fails for an operation without one.
"""
