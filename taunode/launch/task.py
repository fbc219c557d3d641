"""`taunode.launch.task`: how batch scripts queued before 0.2 name `taunode.cluster.task`. Goes in 0.3."""

import sys

from taunode.cluster.task import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
