"""How an attempt ends, as data: the receipt, the dead letter, the history, the ledger's change, the error's text.

Pure: values in, values out. Used by `decide`, `record` and `commit` of the delivery.
"""
