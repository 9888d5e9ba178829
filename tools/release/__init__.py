"""What a release consists of: wheels, images, the chart, lists of what is in them, and its section of the changelog."""
