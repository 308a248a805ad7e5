"""The examples of the contract, sent to a running server."""
