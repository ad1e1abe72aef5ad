"""Acts on many tasks at a time: stored operations, which the leader carries out step by step.

An operation is a document. It survives the pod that took it in and the leader that works at it:
what is done next is written down before it is done, and doing it twice makes nothing twice.
"""

from dsched.bulk.acting import retried_id as retried_id
from dsched.bulk.asking import BulkRequest as BulkRequest
from dsched.bulk.asking import ask as ask
from dsched.bulk.asking import bulk_rate as bulk_rate
from dsched.bulk.asking import per_second as per_second
from dsched.bulk.keeping import Kept as Kept
from dsched.bulk.matching import Estimate as Estimate
from dsched.bulk.matching import estimated as estimated
from dsched.bulk.operation import BulkAct as BulkAct
from dsched.bulk.operation import BulkOperation as BulkOperation
from dsched.bulk.operation import BulkState as BulkState
