"""How cells of each kind are read: a file a kind of field, a function a form. `archcalc.cards.reading` chooses among them."""
