"""Collections moved to and from the tables in which LLM keeps its own, by plain SQL: LLM itself is not needed."""
