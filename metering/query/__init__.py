"""Reading usage: one question (`UsageQuery`), one answer (`UsageResult`), for every consumer."""
