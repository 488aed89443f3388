"""What the end of an attempt is as data: receipt, dead letter, history, change of the ledger, text of the error.

Pure: values in, values out. Used by `decide`, `record` and `commit` of the delivery.
"""
