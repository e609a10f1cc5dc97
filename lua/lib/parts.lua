-- Shapes of the records that an argument carries as a list.
return {
  -- Work that becomes a member of a flow: a submission without an idempotency key. Held work waits
  -- until its inbound edges are sealed.
  members = {
    "id:id",
    "lane:word",
    "task:word",
    "input:input",
    "not_before:ms?",
    "delay_ms:span_ms?",
    "priority:priority?",
    "deadline_at:ms?",
    "deadline_ms:span_ms?",
    "attempt_timeout_ms:attempt_timeout_ms?",
    "retention_ms:retention_ms?",
    "reclaims_max:reclaims_max?",
    "capabilities:capabilities?",
    "retry:retry?",
    "tags:tags?",
    "tagged:tag_digests?",
    "limit:word?",
    "share:word?",
    "budgets:budget_ids?",
    "hold:flag",
  },
  edges = { "upstream:id", "downstream:id", "kind:edge_kind", "name:word?" },
  -- How the inbound edges of an execution are joined.
  joins = {
    "downstream:id",
    "policy:join_policy",
    "k:quorum?",
    "remaining:join_remaining?",
    "impossible:join_impossible?",
    "collect:join_collect?",
  },
}
