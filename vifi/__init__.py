"""The command line: `verbs/` holds one small file a verb, the other rooms what verbs share."""
