"""The words of the reform: codes, reasons, transitions, company numbers, addresses. Uses nothing of ours."""
