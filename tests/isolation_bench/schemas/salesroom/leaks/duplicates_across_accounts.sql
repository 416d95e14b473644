-- channel: function
-- object: public.find_duplicates
-- says: The duplicate finder became a definer "because it returned nothing".
alter function public.find_duplicates(text) security definer;
-- exploit as mallory
select from public.find_duplicates('ben@bellows.test');
-- leaks when rows
