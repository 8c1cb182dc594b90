from lenet.api import Comparisons as Comparisons
from lenet.api import Results as Results
from lenet.api import compare as compare
from lenet.api import measure as measure
from lenet.api import read as read

__version__: str
