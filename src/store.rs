//! L2: what the gateway learns, in two redb files behind one writer thread.
