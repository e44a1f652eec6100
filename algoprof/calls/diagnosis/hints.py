"""What is known of single packages, headers and programs, for advice that names what to install."""

import sys

DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "jwt": "pyjwt",
    "mysqldb": "mysqlclient",
    "pil": "pillow",
    "pkg-resources": "setuptools",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""What to install for a module whose distribution has another name; by normal name."""

WITH_WHEELS = {"psycopg2": "psycopg2-binary", "dlib": "dlib-bin", "mysqlclient": "pymysql"}
"""What to take instead of a package that has no wheels, and does the same or nearly so."""

SYSTEM_PACKAGES = {
    "-lpq": "libpq-dev",
    "alsa/asoundlib.h": "libasound2-dev",
    "bzlib.h": "libbz2-dev",
    "cairo.h": "libcairo2-dev",
    "cblas.h": "libopenblas-dev",
    "curl/curl.h": "libcurl4-openssl-dev",
    "expat.h": "libexpat1-dev",
    "ffi.h": "libffi-dev",
    "freetype2/ft2build.h": "libfreetype-dev",
    "gdal.h": "libgdal-dev",
    "geos_c.h": "libgeos-dev",
    "gmp.h": "libgmp-dev",
    "graphviz/cgraph.h": "libgraphviz-dev",
    "hdf5.h": "libhdf5-dev",
    "jpeglib.h": "libjpeg-dev",
    "krb5.h": "libkrb5-dev",
    "lber.h": "libldap-dev",
    "libpq-fe.h": "libpq-dev",
    "libxml/xmlversion.h": "libxml2-dev libxslt1-dev",
    "lzma.h": "liblzma-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "openssl/ssl.h": "libssl-dev",
    "png.h": "libpng-dev",
    "portaudio.h": "portaudio19-dev",
    "proj.h": "libproj-dev",
    "python.h": "python3-dev",
    "snappy-c.h": "libsnappy-dev",
    "sndfile.h": "libsndfile1-dev",
    "sql.h": "unixodbc-dev",
    "sqlite3.h": "libsqlite3-dev",
    "yaml.h": "libyaml-dev",
    "zlib.h": "zlib1g-dev",
    "zmq.h": "libzmq3-dev",
}
"""Debian's package for a header or a library, by its name in lower case."""

PROGRAM_PACKAGES = {
    "cmake": "cmake",
    "gdal-config": "libgdal-dev",
    "geos-config": "libgeos-dev",
    "git": "git",
    "hg": "mercurial",
    "make": "make",
    "mariadb_config": "libmariadb-dev",
    "meson": "meson",
    "mysql_config": "default-libmysqlclient-dev",
    "nc-config": "libnetcdf-dev",
    "ninja": "ninja-build",
    "pg_config": "libpq-dev",
    "pkg-config": "pkg-config",
    "swig": "swig",
    "svn": "subversion",
}
"""Debian's package for a program, by its name in lower case."""

GONE_FROM_PYTHON = {
    "asynchat": "3.12",
    "asyncore": "3.12",
    "cgi": "3.13",
    "distutils": "3.12",
    "imp": "3.12",
    "pipes": "3.13",
}
"""The version of Python that a module is no longer part of."""


def in_python(name: str) -> bool:
    """Whether a package asked for is a part of Python itself.

    >>> in_python("json"), in_python("requests")
    (True, False)
    """
    return name in sys.stdlib_module_names
