"""What ``exphil doctor`` looks at: each file gathers facts of one kind and judges them apart."""
