"""Proofs: what must hold however many do it at the same moment, whatever fails meanwhile.

``make proofs`` runs them in full and prints what each counted; ``make test`` runs the same code in
a shorter form (see ``size.py``). Each test is one proof: its docstring is the invariant, in one
sentence, and ``report(…)`` hands over what it counted.

One file per subject. A new one-time thing gets a proof with ``Crowd.at_once``, a row in
``test_timing.py`` when it takes a name or an address, and a step in one of ``canaries*.py`` for
each operation that deals with secrets: ``test_secrets.py`` fails for an operation without one.
"""
