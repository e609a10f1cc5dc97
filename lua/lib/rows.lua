-- Shapes of the rows that operations answer with.
return {
  -- What a worker needs to begin: its fence, its work, and when the lease ends; `lib/lease`
  -- builds it in this order.
  claimed = {
    "id:text",
    "kind:text",
    "lane:text",
    "task:text",
    "attempt:int",
    "attempt_type:text",
    "lease_id:text",
    "epoch:int",
    "lease_ms:int",
    "expires_at:int",
    "attempt_deadline_at:int?",
    "created_at:int",
    "input:bytes?",
  },
}
