"""What DynamoDB does, as far as the registry rests on it: on moto, and on the strict double."""

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import DynamoDBTable
from xero_connector.adapters.aws_errors import error_code

if TYPE_CHECKING:
    from collections.abc import Callable


type Wire = dict[str, Any]

NEW = "attribute_not_exists(pk)"
IF_NEW: Any = {"ConditionExpression": NEW, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
THERE: Wire = {"pk": {"S": "a"}, "sk": {"S": "a"}, "write_id": {"S": "theirs"}}
OTHER: Wire = {"pk": {"S": "b"}, "sk": {"S": "b"}}
LARGE: Wire = {**OTHER, "text": {"S": "x" * 409_600}}


def refusal(call: "Callable[[], object]") -> ClientError:
    with pytest.raises(ClientError) as error:
        call()
    return error.value


def put(table: DynamoDBTable, item: Wire, **conditions: Any) -> None:  # noqa: ANN401 - as boto3's
    table.client.put_item(TableName=table.name, Item=item, **{**IF_NEW, **conditions})


def read(table: DynamoDBTable, item: Wire) -> Wire | None:
    key = {name: item[name] for name in ("pk", "sk")}
    answer: Wire = {**table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True)}
    return answer.get("Item")


def transact(table: DynamoDBTable, *puts: Wire, token: str = "token") -> None:
    actions: Any = [{"Put": {"TableName": table.name, **one}} for one in puts]
    table.client.transact_write_items(TransactItems=actions, ClientRequestToken=token)


# Writing


def test_what_was_written_is_read(dynamodb_table: DynamoDBTable) -> None:
    assert read(dynamodb_table, THERE) is None
    put(dynamodb_table, THERE)
    assert read(dynamodb_table, THERE) == THERE


def test_a_condition_that_does_not_hold_shows_the_item_that_was_there(dynamodb_table: DynamoDBTable) -> None:
    put(dynamodb_table, THERE)
    refused = refusal(lambda: put(dynamodb_table, {**THERE, "write_id": {"S": "mine"}}))
    assert error_code(refused) == "ConditionalCheckFailedException"
    assert refused.response["Item"] == THERE  # type: ignore[typeddict-item] # of this error alone
    assert read(dynamodb_table, THERE) == THERE


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ("attribute_exists(pk)", {}, True),
        ("revision = :seen", {":seen": {"N": "9"}}, True),
        ("revision = :seen", {":seen": {"N": "9.0"}}, True),
        ("revision = :seen", {":seen": {"N": "10"}}, False),
        ("revision = :seen", {":seen": {"S": "9"}}, False),
        ("absent = :seen", {":seen": {"N": "9"}}, False),
        ("revision < :now", {":now": {"N": "10"}}, True),
        ("revision < :now", {":now": {"N": "9"}}, False),
        ("attribute_not_exists(pk) OR revision < :now", {":now": {"N": "10"}}, True),
        ("attribute_not_exists(pk) OR revision < :now", {":now": {"N": "9"}}, False),
    ],
)
def test_conditions(dynamodb_table: DynamoDBTable, condition: str, values: Wire, holds: bool) -> None:  # noqa: FBT001 - expected
    item = {**OTHER, "revision": {"N": "9"}}
    put(dynamodb_table, item)

    def change() -> None:
        more = {"ExpressionAttributeValues": values} if values else {}
        put(dynamodb_table, {**item, "write_id": {"S": "mine"}}, ConditionExpression=condition, **more)

    if holds:
        change()
    else:
        assert error_code(refusal(change)) == "ConditionalCheckFailedException"


def test_an_item_is_limited_in_size(dynamodb_table: DynamoDBTable) -> None:
    assert error_code(refusal(lambda: put(dynamodb_table, LARGE))) == "ValidationException"
    put(dynamodb_table, {**OTHER, "text": {"S": "x" * 400_000}})


def test_an_item_is_deleted_under_a_condition(dynamodb_table: DynamoDBTable) -> None:
    client, key = dynamodb_table.client, {"pk": {"S": "a"}, "sk": {"S": "a"}}

    def delete(owner: str) -> None:
        client.delete_item(
            TableName=dynamodb_table.name,
            Key=key,
            ConditionExpression="write_id = :owner",
            ExpressionAttributeValues={":owner": {"S": owner}},
        )

    put(dynamodb_table, THERE)
    assert error_code(refusal(lambda: delete("mine"))) == "ConditionalCheckFailedException"
    delete("theirs")
    assert read(dynamodb_table, THERE) is None
    assert error_code(refusal(lambda: delete("theirs"))) == "ConditionalCheckFailedException"


def test_what_was_deleted_is_neither_due_nor_in_a_trail(dynamodb_table: DynamoDBTable) -> None:
    event: Wire = {
        "pk": {"S": "CREDENTIAL#a"},
        "sk": {"S": "HISTORY#1"},
        "due_shard": {"S": "0"},
        "due_at": {"N": "1"},
    }
    put(dynamodb_table, event)
    assert len(due(dynamodb_table)) == len(trail(dynamodb_table)["Items"]) == 1
    dynamodb_table.client.delete_item(
        TableName=dynamodb_table.name,
        Key={name: event[name] for name in ("pk", "sk")},
        ConditionExpression="due_at = :due_at",
        ExpressionAttributeValues={":due_at": {"N": "1"}},
    )
    assert due(dynamodb_table) == trail(dynamodb_table)["Items"] == []


# Transactions


def test_a_canceled_transaction_tells_each_reason_and_writes_nothing(dynamodb_table: DynamoDBTable) -> None:
    put(dynamodb_table, THERE)
    for conditions, item in ((IF_NEW, {"Item": THERE}), ({"ConditionExpression": NEW}, {})):
        canceled = refusal(
            lambda conditions=conditions: transact(dynamodb_table, {"Item": OTHER}, {"Item": THERE, **conditions})  # type: ignore[misc] # bound now
        )
        assert error_code(canceled) == "TransactionCanceledException"
        response: Any = canceled.response
        none, failed = response["CancellationReasons"]
        assert none == {"Code": "None"}
        assert failed == {"Code": "ConditionalCheckFailed", "Message": failed["Message"], **item}
    assert read(dynamodb_table, OTHER) is None


def test_a_transaction_writes_everything(dynamodb_table: DynamoDBTable) -> None:
    transact(dynamodb_table, {"Item": OTHER}, {"Item": THERE, **IF_NEW})
    assert (read(dynamodb_table, OTHER), read(dynamodb_table, THERE)) == (OTHER, THERE)


def test_a_transaction_is_limited(dynamodb_table: DynamoDBTable) -> None:
    many = [{"Item": {"pk": {"S": str(number)}, "sk": {"S": "x"}}} for number in range(101)]
    for puts in (many, [{"Item": OTHER}, {"Item": OTHER}]):
        refused = refusal(lambda puts=puts: transact(dynamodb_table, *puts))  # type: ignore[misc] # bound now
        assert error_code(refused) == "ValidationException"
    assert read(dynamodb_table, OTHER) is None


@pytest.mark.moto_is_kinder("it takes a token of any length")
def test_the_token_of_a_transaction_is_of_at_most_36_characters(dynamodb_table: DynamoDBTable) -> None:
    refused = refusal(lambda: transact(dynamodb_table, {"Item": OTHER}, token="x" * 37))
    assert error_code(refused) == "ValidationException"


def test_a_transaction_with_an_item_that_is_too_large_writes_nothing(dynamodb_table: DynamoDBTable) -> None:
    refusal(lambda: transact(dynamodb_table, {"Item": THERE}, {"Item": LARGE}))
    assert read(dynamodb_table, THERE) is None


def test_a_transaction_with_an_item_that_is_too_large_is_canceled(strict_table: DynamoDBTable) -> None:
    # So says the API reference; moto answers with a ValidationException.
    canceled = refusal(lambda: transact(strict_table, {"Item": THERE}, {"Item": LARGE}))
    assert error_code(canceled) == "TransactionCanceledException"
    response: Any = canceled.response
    assert [reason["Code"] for reason in response["CancellationReasons"]] == ["None", "ValidationError"]


# Queries


def due(table: DynamoDBTable, **more: Any) -> list[Any]:  # noqa: ANN401 - as boto3's
    answer = table.client.query(
        TableName=table.name,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={":shard": {"S": "0"}, ":now": {"N": "100"}},
        Limit=10,
        **more,
    )
    return answer["Items"]


def trail(table: DynamoDBTable, *, limit: int = 10, **more: Any) -> Wire:  # noqa: ANN401 - as boto3's
    answer: Any = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :history)",
        ExpressionAttributeValues={":pk": {"S": "CREDENTIAL#a"}, ":history": {"S": "HISTORY#"}},
        ConsistentRead=True,
        ScanIndexForward=False,
        Limit=limit,
        **more,
    )
    return {name: answer[name] for name in ("Items", "LastEvaluatedKey") if name in answer}


def listing(table: DynamoDBTable, *, limit: int = 10, after: str | None = None, **more: Any) -> Wire:  # noqa: ANN401 - as boto3's
    condition, values = "listing = :listing", {":listing": {"S": "all"}}
    if after is not None:
        condition, values = f"{condition} AND client_id > :after", {**values, ":after": {"S": after}}
    answer: Any = table.client.query(
        TableName=table.name,
        IndexName="credentials",
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        Limit=limit,
        **more,
    )
    if "Items" not in answer or more.get("Select") == "COUNT":
        return {name: answer[name] for name in ("Count", "LastEvaluatedKey") if name in answer}
    return {name: answer[name] for name in ("Items", "LastEvaluatedKey") if name in answer}


def entry(number: int) -> Wire:
    return {"pk": {"S": "CREDENTIAL#a"}, "sk": {"S": f"HISTORY#{number}"}}


def parts(table: DynamoDBTable, pk: str) -> list[Any]:
    answer = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :credential)",
        ExpressionAttributeValues={":pk": {"S": pk}, ":credential": {"S": "CREDENTIAL"}},
        ConsistentRead=True,
    )
    return answer["Items"]


def test_a_query_by_the_beginning_of_the_sort_key(dynamodb_table: DynamoDBTable) -> None:
    for sk in ("CREDENTIAL#DETAILS", "CREDENTIAL", "HISTORY#1", "RESERVATION", "STATUS"):
        put(dynamodb_table, {"pk": {"S": "a"}, "sk": {"S": sk}})
    assert [item["sk"]["S"] for item in parts(dynamodb_table, "a")] == ["CREDENTIAL", "CREDENTIAL#DETAILS"]
    assert parts(dynamodb_table, "b") == []


def test_the_due_index_holds_keys_by_time(dynamodb_table: DynamoDBTable) -> None:
    for name, due_at in (("c", 3), ("a", 20), ("b", 100), ("later", 101)):
        at = {"due_shard": {"S": "0"}, "due_at": {"N": str(due_at)}}
        put(dynamodb_table, {"pk": {"S": name}, "sk": {"S": name}, **at, "text": {"S": "not in the index"}})
    put(dynamodb_table, {"pk": {"S": "never"}, "sk": {"S": "due"}})
    found = due(dynamodb_table)
    assert [item["pk"]["S"] for item in found] == ["c", "a", "b"]
    assert {frozenset(item) for item in found} == {frozenset({"pk", "sk", "due_shard", "due_at"})}


def test_a_trail_comes_backwards_and_tells_where_it_stopped(dynamodb_table: DynamoDBTable) -> None:
    for number in (1, 3, 2):
        put(dynamodb_table, entry(number))
    assert trail(dynamodb_table) == {"Items": [entry(3), entry(2), entry(1)]}
    first = trail(dynamodb_table, limit=2)
    assert first == {"Items": [entry(3), entry(2)], "LastEvaluatedKey": entry(2)}
    rest = trail(dynamodb_table, limit=2, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert rest == {"Items": [entry(1)]}


@pytest.mark.moto_is_kinder("it does not look whether there is a next page")
def test_a_page_that_reached_its_limit_may_be_the_last_one(dynamodb_table: DynamoDBTable) -> None:
    put(dynamodb_table, entry(1))
    assert trail(dynamodb_table, limit=1) == {"Items": [entry(1)], "LastEvaluatedKey": entry(1)}


@pytest.mark.moto_is_kinder("it answers with nothing")
def test_a_start_outside_of_the_query_is_refused(dynamodb_table: DynamoDBTable) -> None:
    elsewhere = {"pk": {"S": "CREDENTIAL#b"}, "sk": {"S": "HISTORY#1"}}
    refused = refusal(lambda: trail(dynamodb_table, ExclusiveStartKey=elsewhere))
    assert error_code(refused) == "ValidationException"


def test_a_list_is_in_order_and_tells_where_it_stopped(dynamodb_table: DynamoDBTable) -> None:
    rows: list[Wire] = [
        {"pk": {"S": name}, "sk": {"S": "x"}, "listing": {"S": "all"}, "client_id": {"S": name}, "n": {"N": "1"}}
        for name in ("b", "a", "c")
    ]
    for row in [*rows, OTHER]:
        put(dynamodb_table, row)
    first = listing(dynamodb_table, limit=2)
    assert first["Items"] == [rows[1], rows[0]]
    assert set(first["LastEvaluatedKey"]) == {"pk", "sk", "listing", "client_id"}
    assert listing(dynamodb_table, after="b") == {"Items": [rows[2]]}
    assert listing(dynamodb_table, after="c") == {"Items": []}


def test_a_list_is_counted_without_its_items(dynamodb_table: DynamoDBTable) -> None:
    for name in ("a", "b", "c"):
        put(
            dynamodb_table,
            {"pk": {"S": name}, "sk": {"S": "x"}, "listing": {"S": "all"}, "client_id": {"S": name}},
        )
    assert listing(dynamodb_table, Select="COUNT") == {"Count": 3}
    first = listing(dynamodb_table, Select="COUNT", limit=2)
    assert (first["Count"], first["LastEvaluatedKey"]["client_id"]) == (2, {"S": "b"})
    assert listing(dynamodb_table, Select="COUNT", after="b") == {"Count": 1}


def test_an_item_that_left_a_list_is_not_in_it(dynamodb_table: DynamoDBTable) -> None:
    listed: Wire = {"pk": {"S": "a"}, "sk": {"S": "x"}, "listing": {"S": "all"}, "client_id": {"S": "a"}}
    put(dynamodb_table, listed)
    put(dynamodb_table, {**listed, "listing": {"S": "another"}}, ConditionExpression="attribute_exists(pk)")
    assert listing(dynamodb_table) == {"Items": []}


def test_a_key_is_not_compared_with_an_empty_text(dynamodb_table: DynamoDBTable) -> None:
    assert error_code(refusal(lambda: listing(dynamodb_table, after=""))) == "ValidationException"


# Batches


def batch(table: DynamoDBTable, *names: str) -> Wire:
    keys: Any = [{"pk": {"S": name}, "sk": {"S": name}} for name in names]
    answer: Any = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    return {"found": answer["Responses"].get(table.name, []), "left": answer["UnprocessedKeys"]}


def test_a_batch_reads_what_is_there(dynamodb_table: DynamoDBTable) -> None:
    put(dynamodb_table, THERE)
    put(dynamodb_table, OTHER)
    found = batch(dynamodb_table, "a", "b", "c")
    assert sorted(item["pk"]["S"] for item in found["found"]) == ["a", "b"]
    assert found["left"] == {}
    assert batch(dynamodb_table, "c")["found"] == []


def test_a_batch_is_limited(dynamodb_table: DynamoDBTable) -> None:
    for names in ([str(number) for number in range(101)], ["a", "a"]):
        refused = refusal(lambda names=names: batch(dynamodb_table, *names))  # type: ignore[misc] # bound now
        assert error_code(refused) == "ValidationException"


def test_an_index_is_not_read_consistently(dynamodb_table: DynamoDBTable) -> None:
    for read_consistently in (due, listing):
        refused = refusal(lambda query=read_consistently: query(dynamodb_table, ConsistentRead=True))  # type: ignore[misc] # bound now
        assert error_code(refused) == "ValidationException"


# A table that is not there


def test_a_table_that_is_not_there(dynamodb_table: DynamoDBTable) -> None:
    elsewhere = DynamoDBTable(dynamodb_table.client, "nowhere")
    calls: list[Callable[[], object]] = [
        lambda: put(elsewhere, THERE),
        lambda: read(elsewhere, THERE),
        lambda: transact(elsewhere, {"Item": THERE}),
        lambda: due(elsewhere),
        lambda: trail(elsewhere),
    ]
    for call in calls:
        assert error_code(refusal(call)) == "ResourceNotFoundException"
