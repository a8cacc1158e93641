"""azure.py PORT ACCOUNT KEY NAME: makes a container in Azurite that everybody may read and list, and prints a SAS token with which
its blobs may be read and written.

By hand, because Azure's own library is a hundred times as large: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
and .../create-account-sas.
"""

import base64
import hashlib
import hmac
import sys
import time
import urllib.parse
import urllib.request

port, account, key, name = sys.argv[1:5]
VERSION = "2021-12-02"


def sign(text):
    mac = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
headers = {"x-ms-blob-public-access": "container", "x-ms-date": date, "x-ms-version": VERSION}
named = "".join(f"{header}:{value}\n" for header, value in headers.items())
# The path is that of the emulator, which has the account in it, behind the account.
resource = f"/{account}/{account}/{name}\nrestype:container"
headers["Authorization"] = f"SharedKey {account}:{sign('PUT' + 12 * chr(10) + named + resource)}"
url = f"http://127.0.0.1:{port}/{account}/{name}?restype=container"
urllib.request.urlopen(urllib.request.Request(url, headers=headers, method="PUT"))

until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
fields = {"sp": "rwdlac", "ss": "b", "srt": "sco", "st": "", "se": until, "sip": "", "spr": "https,http", "sv": VERSION}
fields["sig"] = sign("".join(f"{value}\n" for value in [account, *fields.values()]) + "\n")
print(urllib.parse.urlencode({field: value for field, value in fields.items() if value}))
