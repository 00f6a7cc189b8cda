"""HTML pages of runs: a run's own, a comparison, and the blocks of any other; reads files alone, and no network."""
