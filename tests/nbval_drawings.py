"""For nbval, which compares no pictures: a drawing (SVG) is one too."""


def pytest_collection_modifyitems(items):
    for notebook in {item.parent for item in items}:
        notebook.skip_compare += ("image/svg+xml",)
