"""What endings need beside inbox, outbox, ledger and time-outs: checked before them, written with them."""
