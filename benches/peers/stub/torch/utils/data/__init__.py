def get_worker_info():
    """No worker processes."""
    return None
