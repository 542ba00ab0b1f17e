"""The words of SQL that tell it from prose, by the part of a statement that they are.

One letter a part: ``U`` joins results (``A`` with ALL), ``E`` begins a query or a change of rows or CASE, ``T`` another
statement that attacks use, ``D`` one whose word is also common prose, ``W`` waits, ``B`` and ``L`` are clauses that
follow a condition, ``F`` writes a file, ``k`` is every other word of clauses, ``&`` logic, ``o`` an operator, ``v`` a
constant, ``f`` a function (only where ``(`` follows), ``n`` all else.
"""

from __future__ import annotations

from typing import Final

_PARTS: Final = {
    "U": "union intersect except minus",
    "E": "select insert update delete replace merge exec execute case",
    "T": "create drop alter truncate rename grant revoke declare shutdown exec execute",
    "D": "load copy handler kill attach detach vacuum pragma call prepare deallocate backup restore reconfigure dump "
    "begin commit rollback use describe explain set",
    "B": "having",
    "L": "limit offset fetch",
    "k": "from where into as on using values by join then else end when returning asc desc procedure delay with all "
    "distinct top",
    "&": "and or xor",
    "o": "like rlike regexp ilike glob match between is in div mod sounds similar isnull notnull escape collate not "
    "binary",
    "v": "null true false current_user current_date current_time current_timestamp localtime localtimestamp "
    "session_user system_user rownum",
}

_FUNCTIONS: Final = (
    "abs acos adddate addtime aes_decrypt aes_encrypt array_agg ascii asin atan atan2 avg benchmark bin bin_to_uuid "
    "bit_and bit_count bit_length bit_or bit_xor cast ceil ceiling char char_length character_length charindex chr "
    "coalesce coercibility col_length col_name collation columns compress concat concat_ws connection_id conv convert "
    "convert_tz cos cot count crc32 ctxsys.drithsx.sn curdate current_database current_date current_schema "
    "current_setting current_time current_timestamp current_user curtime database_to_xml date date_add date_format "
    "date_part date_sub date_trunc datediff datename datepart day dayname db_id db_name dbms_assert.noop "
    "dbms_lock.sleep dbms_pipe.receive_message dbms_utility.sqlid_to_sqlhash dbms_xmlgen.getxml decode default "
    "degrees des_decrypt des_encrypt difference elt encode encrypt exists exp export_set extract extractvalue field "
    "find_in_set floor format format_bytes from_base64 from_days from_unixtime generate_series geometrycollection "
    "get_bit get_byte get_lock getdate glob greatest group_concat gtid_subset gtid_subtract has_database_privilege "
    "hashbytes hex host_name hour if ifnull iif inet_aton inet_ntoa inet_server_addr initcap insert instr interval "
    "is_free_lock is_member is_srvrolemember is_used_lock isnull json_array json_extract json_keys json_object "
    "last_day last_insert_id lcase least left length like likelihood linestring ln lo_export lo_import load_extension "
    "load_file localtime localtimestamp locate log log10 log2 lower lpad ltrim make_set makedate maketime "
    "master_pos_wait max md5 mid min minute mod month monthname multilinestring multipoint multipolygon name_const "
    "nchar newid now ntile nullif nvl nvl2 object_id object_name oct octet_length ord overlay password patindex "
    "period_add pg_ls_dir pg_read_file pg_sleep pg_sleep_for pg_sleep_until pg_stat_file pi point polygon position "
    "pow power quarter query_to_xml quote quote_ident quote_literal radians raise_application_error rand random "
    "randomblob rank regexp_instr regexp_like regexp_matches regexp_replace regexp_substr release_lock repeat replace "
    "replicate reverse right round row row_count row_number rpad rtrim schema_name sec_to_time session_user setval "
    "sha sha1 sha2 sign sin sleep soundex space sqlite_version sqrt std stddev str strcmp strftime string_agg stuff "
    "subdate substr substring substring_index sum suser_id suser_name suser_sname sys.fn_get_audit_file sys_context "
    "sys_eval sys_exec sysdate system_user table_to_xml tan time time_format timestamp timestampdiff to_base64 "
    "to_char to_date to_days to_number to_timestamp translate trim truncate typeof ucase uncompress unhex unicode "
    "unistr unix_timestamp updatexml upper user_id user_name utc_timestamp utl_http.request "
    "utl_inaddr.get_host_address utl_inaddr.get_host_name uuid uuid_short values var_pop variance week weekday xmlagg "
    "xmlelement xmltype xp_cmdshell year zeroblob "
)

WORDS: Final[dict[bytes, str]] = {word.encode(): part for part, words in _PARTS.items() for word in words.split()}
#: Functions of MySQL, PostgreSQL, SQLite, Oracle and SQL Server.
FUNCTIONS: Final = frozenset(name.encode() for name in _FUNCTIONS.split())

#: Functions without arguments whose names are common words.
NILADIC: Final = frozenset((b"user", b"database", b"schema", b"version", b"now", b"pi", b"rand", b"last"))

#: Two words that are one, and which part that is.
PAIRS: Final[dict[tuple[bytes, bytes], str]] = {
    (first.encode(), second.encode()): part
    for part, pairs in {
        "A": "union/all union/distinct intersect/all except/all minus/all",
        "B": "group/by order/by sort/by procedure/analyse",
        "o": "not/in not/like not/between not/rlike not/regexp not/ilike is/not sounds/like similar/to",
        "F": "into/outfile into/dumpfile",
        "k": "left/join right/join inner/join natural/join cross/join for/update",
        "W": "waitfor/delay waitfor/time",
    }.items()
    for first, second in (pair.split("/") for pair in pairs.split())
}
PAIR_BEGINNINGS: Final = frozenset(first for first, _ in PAIRS)
