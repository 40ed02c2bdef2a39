"""Model cards: read the claims they make about architectures, hold them against configs, and write cards whose claims hold.

`document` finds tables and lists and where each cell stands, `layout` finds which cell speaks of which model and field, `reading` turns
a cell into claims, `truth` lists what a config says, `judge` compares. Nothing before `truth` knows any model's numbers. What may be
claimed and what it is called is data: fields.txt, words.txt, names.txt and a file for each of languages/.
"""
