"""ClickSend's protocol: operations, answers, refusals. No I/O and no event loop."""
