"""What tests share: servers, fakes, tables of faults, strategies."""
