"""`python -m tests.tools.notebooks`: execute the notebooks and save their outputs."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Return a notebook executed in `folder`, without the outputs that differ from run to run.

    These are the times of execution, and progress bars.
    """
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(
        book,
        timeout=300,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        coalesce_streams=True,  # two prints would be one output or two, depending on their timing
    )
    client.execute()
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    book.metadata.language_info = {"name": "python"}
    return book


if __name__ == "__main__":
    import tempfile

    for notebook in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(notebook, Path(folder)), notebook)
