"""The pages that people see: layout, style and words; `respond` makes an answer of them."""
