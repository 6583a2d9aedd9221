"""What `meshcors doctor` knows: who answered a page's call, what is wrong, and what to write."""
