"""What takes longer than a page of the book: one module for each chapter that needs it.

`make experiments` runs them and writes their numbers to saebook/pages/results/, where the pages
read them with `saebook.pages.results`. A module has a function ``run()`` that returns what JSON can
hold.
"""
