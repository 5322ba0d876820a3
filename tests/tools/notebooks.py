"""`python -m tests.tools.notebooks`: execute all notebooks, and write their outputs into them."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
OF_THE_MOMENT = ("iopub.execute_input", "iopub.status.busy", "iopub.status.idle", "shell.execute_reply")


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a run in `folder`, without what no second run would reproduce.

    That is: when a cell ran, and progress bars, which are gone when it has run.
    """
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(
        book,
        timeout=300,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        coalesce_streams=True,  # whether two prints come as one output or as two is a matter of milliseconds
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
            nbformat.write(executed(notebook, Path(folder)), notebook)
