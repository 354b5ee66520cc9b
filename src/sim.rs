//! L1: the simulated upstream. Imports base only, so that a wrong reading of a format is not mirrored.
