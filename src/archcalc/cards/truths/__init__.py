"""What a config says, a file a kind of figure; `archcalc.cards.truth` has them all by field."""
