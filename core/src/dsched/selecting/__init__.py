"""Which configs somebody means by a prefix, labels or an owner, and which of their tasks.

Configs are found by the order of their ids, their tasks by the lists that each config has. Nothing
here walks over all tasks.
"""

from dsched.selecting.ended import ALWAYS as ALWAYS
from dsched.selecting.ended import EndedWalk as EndedWalk
from dsched.selecting.ended import Window as Window
from dsched.selecting.ended import ended_page as ended_page
from dsched.selecting.living import living_page as living_page
from dsched.selecting.selection import MAX_LOOKED_AT as MAX_LOOKED_AT
from dsched.selecting.selection import MAX_SELECTED as MAX_SELECTED
from dsched.selecting.selection import ConfigSelection as ConfigSelection
from dsched.selecting.selection import SelectionError as SelectionError
from dsched.selecting.selection import config_page as config_page
from dsched.selecting.selection import selected_ids as selected_ids
from dsched.selecting.tasks import TaskSelection as TaskSelection
from dsched.selecting.tasks import TaskWalk as TaskWalk
from dsched.selecting.tasks import select_tasks as select_tasks
