"""gunicorn -c deploy/gunicorn.conf.py einvoice_project.wsgi:application"""

import multiprocessing

bind = "127.0.0.1:8000"
workers = 2 * multiprocessing.cpu_count()
# A thread keeps a database connection; that all wait for slow callers is prevented by einvoice_project/bodies.py.
threads = 4
# Loaded once and shared by the workers: a third of the memory is saved.
preload_app = True
timeout = 60
graceful_timeout = 30
# A worker starts afresh now and then, and not all of them at once.
max_requests = 10_000
max_requests_jitter = 1_000
# A hook's address holds its token, so requests are not logged; the proxy does, without /hooks/.
accesslog = None
