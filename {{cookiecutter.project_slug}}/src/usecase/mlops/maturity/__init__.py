"""How mature the use case is: checks over evidence, by area and stage, with what adds each. See docs/maturity.md."""
