# Servers by the first letter, one domain on its own, one user renamed.
^(info|sales)@: 10.1.0.5
^user$: user2@10.1.0.9
@sales\.example\.test$: 10.1.0.3:1143
^[a-c]: 10.1.0.1
^[^a-k]: 10.1.0.2:143
(.*)@(.*): $1_$2@10.1.0.4
"with blank$" 10.1.0.6
