"""What the seconds of one invocation are for.

API Gateway waits 29 s for an answer, a cold start included (AWS, "Quotas for REST APIs"). The functions behind it
run for 25 s, and the function of the schedule for 90 s. Nothing is begun that could not be brought to its end.
Nothing is presented to Xero whose answer could not be stored.
"""

from datetime import timedelta

# One POST to Xero

POST_BUDGET = timedelta(seconds=20)
"""A POST ends within 10 s, with room for a slow machine: none starts with less of the lease left."""
LONGEST_ANSWER = timedelta(seconds=10)
"""What a POST may take where there is time enough."""
LEAST_FOR_AN_ANSWER = timedelta(seconds=3)
"""With less of it, nothing is presented."""
TIME_TO_STORE = timedelta(seconds=9)
"""What has to be left of an invocation after Xero's answer, for the vault and the registry."""
TIME_FOR_A_CALL_OF_XERO = timedelta(seconds=15)
"""A call of Xero takes 10 s at most; what came of it has to be written down after it."""
TIME_TO_EXCHANGE = timedelta(seconds=18)
"""A call of Xero, and the successor of a refresh token is sealed and written down."""
TIME_FOR_ONE_MORE_LOOK = timedelta(seconds=23)
"""A look that is not needed must leave the time for a call that is: each turn gets further than the last."""
TIME_TO_FETCH_KEYS_AGAIN = timedelta(seconds=15)
"""Fetching the keys once more takes 5 s at most; after it there has to be time to store."""

# A proof

TIME_AFTER_PROOF = timedelta(seconds=11)
"""Left of an invocation after a proof, to store the result and to answer."""
LEAST_FOR_A_PROOF = timedelta(seconds=2)
TIME_TO_PROBE = timedelta(seconds=6)
TIME_TO_PROBE_THOROUGHLY = timedelta(seconds=12)
"""The authorize endpoint is asked only if there is time, because its answer is only advice."""

# Storing tokens, and what comes around it

PUT_BUDGET = timedelta(seconds=10)
"""The vault's time-outs and its retry: no put starts with less of the lease left."""
TIME_TO_PARK = timedelta(seconds=8)
TIME_TO_ANSWER_AFTER_PARKING = timedelta(seconds=1)
TIME_TO_LIST_BEFORE_ASKING = timedelta(seconds=18)
"""Listing the organisations takes 5 s at most; after it there has to be time to ask and to store."""
TIME_TO_LIST_AFTER_STORING = timedelta(seconds=14)
"""Listing the organisations, a second version with them, and the commit."""
TIME_FOR_TOKENS = timedelta(seconds=20)
"""With less of the invocation left, the schedule gets the first tokens, or puts a new secret to use."""

# An answer to an admin or a browser

PATIENCE = timedelta(seconds=6)
"""How long a request waits for the lease of a credential that is being worked on."""
TIME_TO_SWAP = timedelta(seconds=10)
"""The lease, two calls of the vault and the credential: what a busy credential is waited for ends before it."""
TIME_TO_SAVE = timedelta(seconds=6)
TIME_TO_ANSWER = timedelta(seconds=3)
"""Left of the invocation to write the credential, and to end the reservation and answer."""
TIME_FOR_ANOTHER_CALL = timedelta(seconds=4)
"""One call of AWS, however slow, and the answer."""
TIME_TO_END_A_REQUEST = timedelta(seconds=3)
"""With less of it, the answer comes first: a reload finds out what became of its consent in any case."""

# A disconnect

LONGEST_TURN = timedelta(seconds=24)
"""Less than the 25 s of the function."""
LONGEST_SCHEDULED_TURN = timedelta(seconds=45)
"""The schedule has more time, so that slow stores cannot make each turn too short to get anywhere."""
TIME_TO_READ = timedelta(seconds=5)
"""One call of AWS, and another to write down what came of it."""
TIME_TO_DELETE_SECRETS = timedelta(seconds=15)
"""Two deletions between two writes of the credential, and the event: not begun with less of the turn left."""

# The schedule and the events

LONGEST_WORK = timedelta(seconds=25)
"""What one credential may take: nothing is begun with less of the invocation left."""
TIME_TO_PUBLISH_ONE = timedelta(seconds=10)
TIME_TO_PUBLISH_AT_ONCE = timedelta(seconds=13)
"""Publishing one, and what a request has to do after it."""
TIME_TO_PUBLISH_WHAT_IS_LEFT = timedelta(seconds=20)
"""Publishing begins nothing with less than 10 s of it left: a bus that is away costs the rest ten seconds."""


def time_to_ask(left: timedelta) -> timedelta | None:
    """How long a POST may take in an invocation with so much time left; None if it must not be made any more."""
    within = left - TIME_TO_STORE
    return min(within, LONGEST_ANSWER) if within >= LEAST_FOR_AN_ANSWER else None
