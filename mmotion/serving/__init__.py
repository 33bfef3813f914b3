"""Videos that others send: a queue of jobs, a service over HTTP and a page in the browser."""
