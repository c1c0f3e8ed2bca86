"""moto's server, one request at a time.

As it comes, moto runs requests side by side and guards nothing in DynamoDB: two writers pass the same condition, and a
transaction that is cancelled puts the whole table back to a copy taken at its start, so that writes of others are
undone (`update_item` and `transact_write_items` in its `dynamodb/models`). The service does neither. What is left here
is any order of whole requests, which is all that a conditional write can be told by.
"""

import sys
from threading import Lock

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)
turn = Lock()


def in_turn(environ, start_response):
    with turn:
        return moto(environ, start_response)


run_simple("127.0.0.1", int(sys.argv[1]), in_turn, threaded=True, request_handler=MotoRequestHandler)
