"""The applier: transactions from the stream become rows of the target, with their checkpoint, in order, once."""
