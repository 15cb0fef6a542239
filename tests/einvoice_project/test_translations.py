from einvoice_project.translations import FOLDER, faults


def test_catalogues_are_complete_and_compiled() -> None:
    catalogues = sorted(FOLDER.glob("*/LC_MESSAGES/*.po"))
    assert [fault for catalogue in catalogues for fault in faults(catalogue)] == []
