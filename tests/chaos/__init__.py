"""`make chaos`: the real shop under everything at once, then peace, then the auditor's judgement.

`plan` says from the seed what happens to whom; `runner` lets it happen; `peace` mends it; `verdict` judges.
"""
