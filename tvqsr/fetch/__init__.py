"""The network and archives: how the files of public sets come here whole, and how photos come out of them."""
