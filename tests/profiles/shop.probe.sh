# What the own profile adds to base.

holds 'shop: its package' command -v tree
holds 'shop: its greeting' is "$(cat /etc/shop-greeting)" 'Good morning'
holds 'shop: its port' sh -c 'nft list chain inet nodeyard input | grep -q "tcp dport 8080 accept"'
