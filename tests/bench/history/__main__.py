"""`SCALE=0.05 python -m tests.bench.history`"""

from tests.bench.history.measure import main

if __name__ == "__main__":
    main()
